;; Has more functions than anybody wrote.
;; ends: refused module_compile_limit functions
;; === component
(component (core module (;repeat 20001;)(func)(;end;)))
