//! What the systems of one invented company have in common: goods, warehouses and places.

/// Number, name and unit of an article that every system knows.
pub const GOODS: &[(&str, &str, &str)] = &[
    ("SKU001", "加厚保暖羽绒服", "件"),
    ("SKU002", "纯棉短袖T恤", "件"),
    ("A-1003/黑", "男士商务皮鞋", "双"),
    ("6901234567892", "有机绿茶 250g", "盒"),
    ("K 77", "儿童积木（100块装）", "盒"),
    ("SKU'06", "不锈钢保温杯 500ml", "个"),
];

/// Number and name.
pub const WAREHOUSES: &[(&str, &str)] = &[("WH001", "主仓"), ("WH002", "华南仓"), ("WH003", "退货仓")];

pub const UNITS: &[&str] = &["件", "双", "盒", "个", "箱", "千克"];

/// Province, city, district, as the address lists write them.
pub const PLACES: &[(&str, &str, &str)] = &[
    ("浙江省", "杭州市", "余杭区"),
    ("北京", "北京市", "海淀区"),
    ("广东省", "深圳市", "南山区"),
    ("新疆维吾尔自治区", "乌鲁木齐市", "天山区"),
    ("上海", "上海市", "浦东新区"),
];

/// An article that the source has and the target's tables lack.
pub const UNKNOWN_ARTICLE: &str = "NEW-9001";
/// A province that is on no address list.
pub const UNKNOWN_PROVINCE: &str = "火星省";
/// A quantity that a target takes for a mistake.
pub const ABSURD_QUANTITY: &str = "9999999";
