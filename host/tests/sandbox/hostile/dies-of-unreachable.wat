;; Dies on purpose.
;; ends: parked guest_trap
;; says: unreachable
;; === body
unreachable
