;; Writes data beyond the end of its memory when it starts.
;; ends: refused guest_trap
;; === items
(data (i32.const 262143) "two")
