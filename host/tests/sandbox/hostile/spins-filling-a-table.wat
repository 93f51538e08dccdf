;; Fills a table again and again.
;; ends: parked guest_fuel_exhausted fuel
;; === items
(table $t 10000 funcref)
;; === body
(loop $l
  (table.fill $t (i32.const 0) (ref.null func) (i32.const 10000))
  (br $l))
unreachable
