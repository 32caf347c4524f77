"""Runs and rounds for a terminal."""
