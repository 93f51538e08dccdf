;; Ends in the middle of its first eight bytes.
;; ends: refused module_refused
;; cut: 6
;; === body
(call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len)) ;; nothing of this is left
