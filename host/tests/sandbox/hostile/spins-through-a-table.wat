;; Calls itself on through a table, flat, for ever.
;; ends: parked guest_fuel_exhausted fuel
;; === items
(type $t (func))
(table 1 funcref) (elem (i32.const 0) $leaf)
(func $leaf)
;; === body
(loop $l (call_indirect (type $t) (i32.const 0)) (br $l)) unreachable
