"""What Potluck is measured against: servers as a competent team would write or start them."""
