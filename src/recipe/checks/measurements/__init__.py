"""What the claims look at, measured once per Setup. Measurements import no claim."""
