"""What a program asks of its machine: settings, files, services, how it ends."""
