;; Puts functions beyond the end of its table when it starts.
;; ends: refused guest_trap
;; === items
(table 1 funcref) (elem (i32.const 1) $f $f) (func $f)
