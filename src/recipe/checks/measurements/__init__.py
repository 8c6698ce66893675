"""What the checks look at, measured once per Setup. Measurements import no check."""
