"""The data owner's end of a round, without a framework: accept, contribute, settle."""
