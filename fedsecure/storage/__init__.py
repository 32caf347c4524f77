"""What every SQL store is built on: engines, transactions, views."""
