include $(sort $(wildcard $(BR2_EXTERNAL_STOCKADE_PATH)/package/*/*.mk))
