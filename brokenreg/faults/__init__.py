"""What spoils the honest registry: the catalogue of faults, the doors to them, the injector."""
