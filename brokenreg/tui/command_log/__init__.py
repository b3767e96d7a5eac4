"""What the keys of this panel did, as command lines: the line, the list, undo and redo."""
