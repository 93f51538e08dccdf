;; Spins for ever.
;; ends: parked guest_fuel_exhausted fuel
;; === body
(loop $l (br $l)) unreachable
