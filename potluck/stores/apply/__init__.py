"""`potluck apply`: definitions held against Potluck's rules, their sources, and the champions that
read them."""
