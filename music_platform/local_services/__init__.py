"""Background services on this machine: started detached, found again by their pid file, stopped as a whole."""
