"""The networks that upsamplers are compared in: encoders, decoders, both together."""
