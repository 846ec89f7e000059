"""The parts of `colmillo.testing.conformance.StoreConformance`."""
