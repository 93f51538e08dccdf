;; Copies a table onto itself again and again.
;; ends: parked guest_fuel_exhausted fuel
;; === items
(table $t 10000 funcref)
;; === body
(loop $l
  (table.copy $t $t (i32.const 0) (i32.const 1) (i32.const 9999))
  (br $l))
unreachable
