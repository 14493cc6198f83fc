"""What a network is: a subnet of a space, or the layers of any model."""
