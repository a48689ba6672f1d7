"""Which boards there are: at serial ports, at a broker, in an aggregator's store. It changes none of them."""
