"""The geometry and the arithmetic of upsampling, as functions on tensors."""
