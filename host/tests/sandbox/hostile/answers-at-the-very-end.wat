;; An outcome whose last byte is beyond the end of its memory.
;; ends: parked guest_trap
;; === body
(i32.const 262136)
