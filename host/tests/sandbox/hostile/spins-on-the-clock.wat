;; Spins with more fuel than time.
;; ends: retried guest_deadline deadline_ms
;; set: fuel = 4000000000000, deadline_ms = 50
;; === body
(loop $l (br $l)) unreachable ;; until the clock says no
