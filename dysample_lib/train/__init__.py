"""Training that repeats and resumes."""
