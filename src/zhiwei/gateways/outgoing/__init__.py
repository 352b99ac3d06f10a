"""What the ways out share: which addresses may be spoken to, sending over HTTP, and signatures."""
