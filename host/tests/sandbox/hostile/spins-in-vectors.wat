;; Works in vectors of sixteen bytes, for ever.
;; ends: parked guest_fuel_exhausted fuel
;; === items
(global $v (mut v128) (v128.const i64x2 3 5))
;; === body
(loop $l
  (global.set $v (f64x2.sqrt (global.get $v)))
  (br $l))
unreachable
