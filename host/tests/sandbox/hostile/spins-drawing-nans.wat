;; Makes numbers that are none, in the hope of bits that differ from machine to machine, for ever.
;; ends: parked guest_fuel_exhausted fuel
;; === items
(global $x (mut f64) (f64.const 0))
;; === body
(loop $l
  (global.set $x (f64.div (global.get $x) (f64.const 0)))
  (br $l))
unreachable
