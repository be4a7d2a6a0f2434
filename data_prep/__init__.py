"""Commands that turn a source of faces into a data set of pairs on disk."""
