;; Has ten thousand and one globals.
;; ends: refused module_compile_limit definitions
;; === component
(component (core module (;repeat 10001;)(global i32 (i32.const 0))(;end;)))
