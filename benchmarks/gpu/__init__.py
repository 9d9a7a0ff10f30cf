"""What a GPU has to measure for the book, in prepared steps: README.md says how."""
