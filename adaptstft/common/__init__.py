"""What any program needs: checks of arguments, threads, progress, text."""
