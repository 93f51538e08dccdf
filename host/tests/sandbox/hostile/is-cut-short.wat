;; Ends in the middle.
;; ends: refused module_refused
;; cut: 500
;; says: not readable
;; === body
(call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))
