;; Grows its memory by no page, for ever.
;; ends: parked guest_fuel_exhausted fuel
;; === body
(loop $l (drop (memory.grow (i32.const 0))) (br $l)) unreachable
