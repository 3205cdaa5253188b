package dev.pmbot.store;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;
import org.apache.ibatis.mapping.Environment;
import org.apache.ibatis.mapping.ResultFlag;
import org.apache.ibatis.mapping.ResultMap;
import org.apache.ibatis.mapping.ResultMapping;
import org.apache.ibatis.session.Configuration;

/**
 * MyBatis's settings, where what a mapper gives as a record is told once which column each
 * component is in. Left to itself, MyBatis compares every component's name with every column's, for
 * each row again: half of what a list took.
 */
final class RecordConfiguration extends Configuration {
  private static final Pattern HUMP = Pattern.compile("(?<=[a-z0-9])(?=[A-Z])");

  RecordConfiguration(Environment environment) {
    super(environment);
  }

  @Override
  public void addResultMap(ResultMap map) {
    super.addResultMap(map.getType().isRecord() ? ofComponents(map) : map);
  }

  private ResultMap ofComponents(ResultMap map) {
    List<ResultMapping> components =
        Arrays.stream(map.getType().getRecordComponents())
            .map(component -> mapping(component.getName(), component.getType()))
            .toList();
    return new ResultMap.Builder(this, map.getId(), map.getType(), components, false).build();
  }

  /** Without a property: the order is the constructor's. */
  private ResultMapping mapping(String component, Class<?> type) {
    String column = HUMP.matcher(component).replaceAll("_").toLowerCase(Locale.ROOT);
    return new ResultMapping.Builder(this, null, column, type)
        .flags(List.of(ResultFlag.CONSTRUCTOR))
        .build();
  }
}
