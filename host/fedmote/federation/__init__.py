"""The aggregator's side of federated learning: broker, wire,
store, rules, rounds and the service around them."""
