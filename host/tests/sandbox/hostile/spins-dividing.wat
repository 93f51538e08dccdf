;; Divides, the slowest instruction there is, for ever.
;; ends: parked guest_fuel_exhausted fuel
;; === items
(global $n (mut i64) (i64.const -1))
;; === body
(loop $l
  (global.set $n (i64.div_u (global.get $n) (i64.const 3)))
  (br $l))
unreachable
