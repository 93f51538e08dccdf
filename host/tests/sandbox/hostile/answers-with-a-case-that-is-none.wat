;; An outcome that is neither emit nor skip nor reject.
;; ends: parked guest_trap
;; says: discriminant
;; === body
(i32.store8 (i32.const 1024) (i32.const 7)) (i32.const 1024)
