;; Jumps through a table of a thousand targets, for ever.
;; ends: parked guest_fuel_exhausted fuel
;; === body
(loop $l
  (block $b (br_table (;repeat 1000;) $b(;end;) $b (i32.const 7)))
  (br $l))
unreachable
