"""What is learned: what a task loads, builds, loses and measures."""
