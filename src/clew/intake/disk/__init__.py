"""What workers do with a disk image: every line that touches The Sleuth Kit lies here and runs inside the sandbox."""
