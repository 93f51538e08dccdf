;; Spins in its start function, before anybody calls it.
;; ends: refused guest_fuel_exhausted fuel
;; === items
(func $spin (loop $l (br $l))) (start $spin)
