;; Asks for more memory than there is, for ever, and never takes no.
;; ends: parked guest_fuel_exhausted fuel
;; === body
(loop $l (drop (memory.grow (i32.const 60000))) (br $l)) unreachable
