"""`potluck materialize`: the online store filled from the sources, guarded against what would harm
a champion."""
