;; Grows a table until it is refused, and dies of that.
;; ends: parked guest_table_exhausted table_elements_limit
;; === items
(table $t 0 funcref)
;; === body
(loop $l
  (if (i32.eq (table.grow $t (ref.null func) (i32.const 100)) (i32.const -1)) (then unreachable))
  (br $l))
unreachable
