;; Copies memory onto itself again and again.
;; ends: parked guest_fuel_exhausted fuel
;; === body
(loop $l
  (memory.copy (i32.const 65536) (i32.const 65537) (i32.const 131072))
  (br $l))
unreachable
