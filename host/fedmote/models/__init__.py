"""Applications (what is learned from which data) and the compiler of the networks that boards run."""
