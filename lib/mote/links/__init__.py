"""Links carry bytes in and bytes out: mqtt.py to the aggregator, serial.py to whoever watches."""
