"""How well the loop foretells drifting streams, against single strategies in hindsight."""
